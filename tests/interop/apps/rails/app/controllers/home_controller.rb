class HomeController < ApplicationController
  def show
    redirect_to login_path unless current_user
  end

  def whoami
    render json: { user: current_user&.username, header: request.headers["X-Auth-User"] }
  end
end
